"""What slices are turned into before sets of them are compared: features of networks, texture and radiomics."""
