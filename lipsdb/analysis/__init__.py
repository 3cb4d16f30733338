"""Pure numerical functions: arrays in, arrays or a frozen result out; no database, no files."""
