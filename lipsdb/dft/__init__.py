"""DFT codes, one module each."""
