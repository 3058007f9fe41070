"""Physics of a model beside a reference: ``camlip evaluate MODEL --physics``; docs/physics.md.

Each part is a module with a function from a :class:`~camlip.physics.common.Sample`, a source of
calculators and settings to a :class:`~camlip.physics.common.Result`; ``parts.py`` lists them.
"""
