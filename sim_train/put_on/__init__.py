"""The put-on tasks in ManiSkill: a Panda puts household objects on or in receptacles."""
