"""What a checked network becomes: a torch module, source code, an ONNX file."""
