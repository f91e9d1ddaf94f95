"""Parts that every stage shares and that know nothing of images: errors, files, paths, parameters, progress."""
