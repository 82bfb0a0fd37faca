"""What people look at: figures of explained spectra and the report page."""
