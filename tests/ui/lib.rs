//! Nothing: the package is the programs under `pass` and `fail`, and the test that compiles them.
