"""One small network of each family that docs/interop.md has a row for."""

FAMILIES = {
    "AlexNet": "alexnet",
    "VGG": "vgg11_bn",
    "ResNet": "resnet18",
    "GoogLeNet": "googlenet",
    "Inception v3": "inception_v3",
    "SqueezeNet": "squeezenet1_1",
    "DenseNet": "densenet121",
    "MobileNet v2": "mobilenet_v2",
    "MobileNet v3": "mobilenet_v3_small",
    "ShuffleNet v2": "shufflenet_v2_x0_5",
    "MNASNet": "mnasnet0_5",
    "EfficientNet": "efficientnet_b0",
    "RegNet": "regnet_y_400mf",
    "ConvNeXt": "convnext_tiny",
    "ViT": "vit_b_32",
    "Swin": "swin_t",
    "Swin v2": "swin_v2_t",
    "MaxViT": "maxvit_t",
    "U-Net": "unet_padded",
}
