"""The words everybody uses: types, configuration, pictures, foreground, crops and readings."""
