"""What the folders and tables of a data set mean, before any picture is opened."""
