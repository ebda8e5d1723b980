"""An audit in one process: a model, pairs, hooks and directions in; verdicts with their evidence out.

``call`` is the call, ``given`` reads what it is given, ``component`` looks at one component, ``proof`` shows that the
run can be trusted, ``result`` is what comes out, ``document`` its form as JSON.
"""
