from __future__ import annotations

import dataclasses

import pytest

from graphforget.base.attack import AttackRecord
from graphforget.exceptions import InputError

GOOD = AttackRecord("loss", ("member_loss", "other_loss"), "Yeom et al., CSF 2018", "Tells members by their loss.")


@pytest.mark.parametrize("field", ["name", "receives", "source", "description"])
def test_empty_fields_are_refused(field):
    with pytest.raises(InputError, match=f"non-empty {field}"):
        dataclasses.replace(GOOD, **{field: () if field == "receives" else ""})
