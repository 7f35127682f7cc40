"""The problems, one class for each code, one file for each range of codes:

E0xx  files       files that cannot be read, models that cannot be chosen
E1xx  syntax      text that does not parse
E2xx  names       names, labels and arguments
E3xx  values      expressions and their values
E4xx  shapes      layers and tensors that do not fit each other
E49x  requirements  bounds of a network's figures
E5xx  limits      upper bounds
E60x  recipe      recipes as they are written
E61x  data        data sets (and E62x)
E63x  training    runs: folders, devices, losses (and E64x)
E70x  commands    packages, output files, ONNX, `--set` (and E71x)
E72x  weights     files of weights
E73x  prediction  `archdsl predict`
E74x  pictures    `archdsl draw`
E78x  sizes       other input sizes
E79x  networks    networks and runs on the command line
E80x  usage       the command line
E85x  drawings    drawings of a network, and their files
E87x  interop     modules in other people's code
W0xx  warnings    what is valid, but hardly meant
"""
