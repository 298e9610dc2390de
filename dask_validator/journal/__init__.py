"""What survives a crash: finished results, on disk before they count, verified before they are used."""
