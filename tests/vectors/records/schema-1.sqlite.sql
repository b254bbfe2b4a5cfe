-- The records' tables as version 1 made them (revision 824c55d): what the migrations begin with.
CREATE TABLE case_ (
    id TEXT NOT NULL,
    ref TEXT NOT NULL,
    opinion TEXT NOT NULL,
    state TEXT NOT NULL,
    opened_at DATETIME NOT NULL,
    language TEXT NOT NULL,
    patient BLOB NOT NULL,
    harvest BLOB NOT NULL,
    questions BLOB NOT NULL,
    checklist JSON NOT NULL,
    profile TEXT NOT NULL,
    clock_started_at DATETIME,
    pauses BLOB NOT NULL,
    PRIMARY KEY (id)
);
--
CREATE UNIQUE INDEX uq_case__ref ON case_ (ref);
--
CREATE INDEX ix_case__state ON case_ (state);
--
CREATE TABLE peer (
    ae_title TEXT NOT NULL,
    hosts JSON NOT NULL,
    may_echo BOOLEAN NOT NULL,
    may_store BOOLEAN NOT NULL,
    description TEXT NOT NULL,
    created_at DATETIME NOT NULL,
    disabled_at DATETIME,
    PRIMARY KEY (ae_title)
);
--
CREATE TABLE study (
    id TEXT NOT NULL,
    case_id TEXT,
    holder TEXT NOT NULL,
    sender TEXT NOT NULL,
    study_key TEXT NOT NULL,
    state TEXT NOT NULL,
    received_at DATETIME NOT NULL,
    last_at DATETIME NOT NULL,
    instances BIGINT NOT NULL,
    "match" JSON NOT NULL,
    head BLOB NOT NULL,
    PRIMARY KEY (id)
);
--
CREATE UNIQUE INDEX uq_study_sender_study_key ON study (sender, study_key);
--
CREATE INDEX ix_study_case_id ON study (case_id);
--
CREATE TABLE instance (
    id TEXT NOT NULL,
    study_id TEXT NOT NULL,
    case_id TEXT,
    holder TEXT NOT NULL,
    sop_key TEXT NOT NULL,
    sop_class_uid TEXT NOT NULL,
    transfer_syntax_uid TEXT NOT NULL,
    object_id TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    digest BLOB NOT NULL,
    generation BIGINT NOT NULL,
    state TEXT NOT NULL,
    received_at DATETIME NOT NULL,
    association_id TEXT NOT NULL,
    conflict_of TEXT,
    head BLOB NOT NULL,
    PRIMARY KEY (id)
);
--
CREATE UNIQUE INDEX uq_instance_study_id_sop_key_digest ON instance (study_id, sop_key, digest);
--
CREATE INDEX ix_instance_case_id_state ON instance (case_id, state);
--
CREATE TABLE document (
    id TEXT NOT NULL,
    case_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    parent_id TEXT,
    link_id TEXT,
    category TEXT NOT NULL,
    name BLOB NOT NULL,
    media_type TEXT NOT NULL,
    object_id TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    digest BLOB NOT NULL,
    generation BIGINT NOT NULL,
    sha256 BLOB NOT NULL,
    state TEXT NOT NULL,
    note TEXT NOT NULL,
    received_at DATETIME NOT NULL,
    PRIMARY KEY (id)
);
--
CREATE INDEX ix_document_parent_id ON document (parent_id);
--
CREATE INDEX ix_document_case_id_state ON document (case_id, state);
--
CREATE TABLE copy_ (
    id TEXT NOT NULL,
    case_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    object_id TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    digest BLOB NOT NULL,
    generation BIGINT NOT NULL,
    crc32 BIGINT NOT NULL,
    profile TEXT NOT NULL,
    state TEXT NOT NULL,
    made_at DATETIME NOT NULL,
    "index" BLOB NOT NULL,
    PRIMARY KEY (id)
);
--
CREATE INDEX ix_copy__subject_id ON copy_ (subject_id);
--
CREATE INDEX ix_copy__case_id_state ON copy_ (case_id, state);
--
CREATE TABLE finding (
    id TEXT NOT NULL,
    case_id TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    place TEXT NOT NULL,
    copy_id TEXT,
    state TEXT NOT NULL,
    found_at DATETIME NOT NULL,
    decided_by TEXT NOT NULL,
    decided_at DATETIME,
    PRIMARY KEY (id)
);
--
CREATE INDEX ix_finding_subject_id ON finding (subject_id);
--
CREATE INDEX ix_finding_case_id_state ON finding (case_id, state);
--
CREATE TABLE link (
    id TEXT NOT NULL,
    case_id TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    holder TEXT NOT NULL,
    phone BLOB NOT NULL,
    created_at DATETIME NOT NULL,
    expires_at DATETIME NOT NULL,
    revoked_at DATETIME,
    fails BIGINT NOT NULL,
    PRIMARY KEY (id)
);
--
CREATE UNIQUE INDEX uq_link_token_hash ON link (token_hash);
--
CREATE INDEX ix_link_case_id ON link (case_id);
--
CREATE TABLE challenge (
    id TEXT NOT NULL,
    link_id TEXT NOT NULL,
    pre_session_id TEXT NOT NULL,
    code_hash TEXT NOT NULL,
    tries BIGINT NOT NULL,
    sent_at DATETIME NOT NULL,
    expires_at DATETIME NOT NULL,
    used_at DATETIME,
    PRIMARY KEY (id)
);
--
CREATE INDEX ix_challenge_pre_session_id ON challenge (pre_session_id);
--
CREATE INDEX ix_challenge_link_id ON challenge (link_id);
--
CREATE TABLE session (
    id TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    case_id TEXT,
    created_at DATETIME NOT NULL,
    seen_at DATETIME NOT NULL,
    expires_at DATETIME NOT NULL,
    ended_at DATETIME,
    PRIMARY KEY (id)
);
--
CREATE UNIQUE INDEX uq_session_token_hash ON session (token_hash);
--
CREATE INDEX ix_session_subject_id ON session (subject_id);
--
CREATE INDEX ix_session_case_id ON session (case_id);
--
CREATE TABLE upload (
    id TEXT NOT NULL,
    case_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    link_id TEXT NOT NULL,
    category TEXT NOT NULL,
    name BLOB NOT NULL,
    media_type TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    offset_bytes BIGINT NOT NULL,
    state TEXT NOT NULL,
    created_at DATETIME NOT NULL,
    expires_at DATETIME NOT NULL,
    PRIMARY KEY (id)
);
--
CREATE INDEX ix_upload_case_id ON upload (case_id);
--
CREATE INDEX ix_upload_link_id_state ON upload (link_id, state);
--
CREATE TABLE part (
    id TEXT NOT NULL,
    upload_id TEXT NOT NULL,
    offset_bytes BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    object_id TEXT NOT NULL,
    digest BLOB NOT NULL,
    generation BIGINT NOT NULL,
    PRIMARY KEY (id)
);
--
CREATE UNIQUE INDEX uq_part_upload_id_offset_bytes ON part (upload_id, offset_bytes);
--
CREATE TABLE release_ (
    id TEXT NOT NULL,
    case_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    number BIGINT NOT NULL,
    state TEXT NOT NULL,
    built_by TEXT NOT NULL,
    built_at DATETIME NOT NULL,
    approved_by TEXT NOT NULL,
    approved_at DATETIME,
    withdrawn_at DATETIME,
    manifest_digest TEXT NOT NULL,
    manifest_object_id TEXT NOT NULL,
    manifest_size_bytes BIGINT NOT NULL,
    manifest_mac BLOB NOT NULL,
    totals JSON NOT NULL,
    PRIMARY KEY (id)
);
--
CREATE UNIQUE INDEX uq_release__case_id_number ON release_ (case_id, number);
--
CREATE TABLE grant_ (
    id TEXT NOT NULL,
    release_id TEXT NOT NULL,
    case_id TEXT NOT NULL,
    person_id TEXT NOT NULL,
    granted_at DATETIME NOT NULL,
    until DATETIME NOT NULL,
    revoked_at DATETIME,
    PRIMARY KEY (id)
);
--
CREATE INDEX ix_grant__case_id ON grant_ (case_id);
--
CREATE INDEX ix_grant__person_id ON grant_ (person_id);
--
CREATE INDEX ix_grant__release_id ON grant_ (release_id);
--
CREATE TABLE answer (
    id TEXT NOT NULL,
    case_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    release_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    person_id TEXT NOT NULL,
    state TEXT NOT NULL,
    body BLOB NOT NULL,
    signed_at DATETIME NOT NULL,
    delivered_at DATETIME,
    read_at DATETIME,
    PRIMARY KEY (id)
);
--
CREATE INDEX ix_answer_case_id ON answer (case_id);
--
CREATE TABLE person (
    id TEXT NOT NULL,
    role TEXT NOT NULL,
    email BLOB NOT NULL,
    email_key TEXT NOT NULL,
    password TEXT NOT NULL,
    totp_seed BLOB NOT NULL,
    last_timecode BIGINT NOT NULL,
    fails BIGINT NOT NULL,
    locked_until DATETIME,
    created_at DATETIME NOT NULL,
    disabled_at DATETIME,
    holder TEXT NOT NULL,
    PRIMARY KEY (id)
);
--
CREATE UNIQUE INDEX uq_person_email_key ON person (email_key);
--
CREATE TABLE job (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    case_id TEXT,
    state TEXT NOT NULL,
    dedup_key TEXT,
    due_at DATETIME NOT NULL,
    created_at DATETIME NOT NULL,
    attempts BIGINT NOT NULL,
    owner TEXT NOT NULL,
    lease_until DATETIME,
    error TEXT NOT NULL,
    finished_at DATETIME,
    PRIMARY KEY (id)
);
--
CREATE UNIQUE INDEX uq_job_dedup_key ON job (dedup_key);
--
CREATE INDEX ix_job_kind_subject_id ON job (kind, subject_id);
--
CREATE INDEX ix_job_case_id ON job (case_id);
--
CREATE INDEX ix_job_state_due_at ON job (state, due_at);
--
CREATE TABLE case_key (
    holder VARCHAR(64) NOT NULL,
    purpose VARCHAR(16) NOT NULL,
    case_id VARCHAR(64),
    kek_id TEXT NOT NULL,
    kek_version INTEGER NOT NULL,
    blob BLOB NOT NULL,
    PRIMARY KEY (holder, purpose)
);
--
CREATE INDEX ix_case_key_case_id ON case_key (case_id);
--
CREATE TABLE audit_event (
    seq INTEGER NOT NULL,
    at DATETIME NOT NULL,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    address TEXT NOT NULL,
    case_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    outcome TEXT NOT NULL,
    details JSON NOT NULL,
    previous VARCHAR(64) NOT NULL,
    hash VARCHAR(64) NOT NULL,
    PRIMARY KEY (seq)
);
--
CREATE INDEX ix_audit_event_case_id ON audit_event (case_id);
--
CREATE TABLE audit_head (
    id INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    hash VARCHAR(64) NOT NULL,
    PRIMARY KEY (id)
);
--
CREATE TABLE duty (
    name TEXT NOT NULL,
    next_at DATETIME NOT NULL,
    PRIMARY KEY (name)
);
--
CREATE TABLE meta (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name)
);
--
CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit_event BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
--
CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON audit_event BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
--
