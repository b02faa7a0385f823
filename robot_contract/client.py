"""The clients under one name: `PolicyClient`, `BlockingPolicyClient`, `OperatorClient`."""

from robot_contract.operator_client import HoldStream as HoldStream
from robot_contract.operator_client import OperatorClient as OperatorClient
from robot_contract.policy_client import BlockingPolicyClient as BlockingPolicyClient
from robot_contract.policy_client import BlockingPolicyStream as BlockingPolicyStream
from robot_contract.policy_client import PolicyClient as PolicyClient
from robot_contract.policy_client import PolicyStream as PolicyStream
