"""The network of Gava et al. (doi:10.3389/fninf.2023.852105), reproduced as far as it is known.

Its details are known from the authors' first public code (EIDOSLAB, December 2021), the best
candidate for the published network.  The later refactoring trains another network and has defects
that prevent it from training as intended; nothing of it is used here.

=====================  ==========================================================================
as in the public code  2D U-Net 64-1024 with average pooling, frames as channels, one network per
                       map and number of frames, 8-bit windowed images, input normalised with two
                       constants, MSE over the whole image, Adam 5e-5, plateau schedule on the
                       validation loss, batches of 8, choice of frames
ours, as unknown       the windows of CBF, MTT, TTP, Tmax and delay where the map files give none;
                       seeds (there were none); resizing by area below 512 px
deliberate changes     targets clipped to their window, where the public code wraps around
                       (``wrap_bug`` brings that back); the epoch with the lowest validation loss
                       is kept besides the last one, the only one kept there
=====================  ==========================================================================
"""
