"""Attribution: which wavelengths make a spectrum odd.

Import ``method`` (the door to every method) and ``explainer``. Nothing that reads files or stores belongs
here.
"""
