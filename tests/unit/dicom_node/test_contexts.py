"""Which SOP classes and transfer syntaxes are taken."""

import pytest
from pydicom.uid import AllTransferSyntaxes

from dicom_node import contexts


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.5.1.4.1.1.2",  # CT
        "1.2.840.10008.5.1.4.1.1.6",  # Ultrasound, retired
        "1.2.840.10008.5.1.4.1.1.5",  # Nuclear medicine, retired
        "1.2.840.10008.5.1.4.1.1.12.3",  # XA biplane, retired
        "1.2.840.10008.5.1.1.29",  # Hardcopy grayscale, retired
        "1.2.840.10008.5.1.4.1.1.104.1",  # Encapsulated PDF
        "1.2.840.10008.5.1.4.1.1.66",  # Raw data
        "1.2.840.10008.5.1.4.1.1.77.1.6",  # Whole slide
        "1.2.840.10008.5.1.4.34.7",  # RT beams delivery instruction
        "1.2.840.10008.5.1.4.43.1",  # Implant template
        "1.2.840.10008.5.1.4.1.1.999.9",  # registered after this was built
    ],
)
def test_an_object_of_the_storage_service_is_taken(uid):
    assert contexts.is_standard_storage(uid)


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.1.1",  # Verification
        "1.2.840.10008.1.3.10",  # media directory
        "1.2.840.10008.1.20.1",  # storage commitment
        "1.2.840.10008.5.1.4.1.2.2.1",  # Study root FIND
        "1.2.840.10008.5.1.4.1.2.2.2",  # Study root MOVE
        "1.2.840.10008.5.1.4.1.1.201.5",  # inventory creation
        "1.2.840.10008.5.1.4.31",  # modality worklist
        "1.2.840.10008.5.1.4.1.1.\u0662",
        "",
    ],
)
def test_what_is_no_object_is_not_storage(uid):
    assert not contexts.is_standard_storage(uid)


def test_every_transfer_syntax_of_pydicom_with_content_is_taken():
    without_content = {uid for uid in AllTransferSyntaxes if "JPIP" in uid.name}
    missing = set(AllTransferSyntaxes) - contexts.TRANSFER_SYNTAXES - without_content
    assert {str(uid) for uid in missing} <= {"1.2.840.10008.1.2.6.1", "1.2.840.10008.1.2.6.2"}
    assert not contexts.TRANSFER_SYNTAXES & without_content
    assert len(contexts.TRANSFER_SYNTAXES) > 50


def test_private_classes_are_those_outside_the_standards_root():
    assert contexts.is_private("1.3.12.2.1107.5.9.1")
    assert not contexts.is_private("1.2.840.10008.5.1.4.1.1.2")
    assert not contexts.is_private("not a uid")
