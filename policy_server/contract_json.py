"""`contract.json`, the file, to and from `PolicyContract`; needs no torch.

Numbers are written in their shortest exact form, so that both digests survive the round trip.
"""

import json
from pathlib import Path
from typing import Any, cast

from policy_server.strict_json import dataclass_from_document, parse_json, read_json_file
from robot_contract.errors import ContractError
from robot_contract.policy_contract import SCHEMA_VERSION, PolicyContract, as_document

CONTRACT_FILE = "contract.json"


def contract_to_json(contract: PolicyContract) -> str:
    """The whole contract for people and programs: indented, fields in the order of the dataclass."""
    return json.dumps(as_document(contract), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def contract_from_json(text: str, *, file: str = CONTRACT_FILE) -> PolicyContract:
    return _from_document(parse_json(text, file=file), file)


def read_contract(path: Path) -> PolicyContract:
    """Read a `contract.json`, or the one inside a checkpoint folder."""
    file = path / CONTRACT_FILE if path.is_dir() else path
    return _from_document(read_json_file(file), str(file))


def _from_document(document: Any, file: str) -> PolicyContract:
    if isinstance(document, dict):
        found = cast(dict[str, Any], document).get("schema_version")
        # Asked first: another schema has other fields, and their names would be the wrong complaint.
        if found is not None and found != SCHEMA_VERSION:
            raise ContractError(
                f"{file}: schema_version: this program reads {SCHEMA_VERSION}, found {found!r}"
            )
    return dataclass_from_document(PolicyContract, document, file=file)
