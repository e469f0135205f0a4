"""Recurrences over trees: forests, the cells of a node, and the layers that run them level by level."""

from seqloom.layers.tree.autoencoder import RecursiveAutoencoder
from seqloom.layers.tree.cells import BilinearNode, ChildSumNode, ForgetEdge, NaryNode, RecursiveNode
from seqloom.layers.tree.forest import Forest
from seqloom.layers.tree.layer import ChildSumTreeLSTM, NaryTreeLSTM, RecursiveNet, RecursiveTensorNet, TreeLayer

__all__ = [
    "BilinearNode",
    "ChildSumNode",
    "ChildSumTreeLSTM",
    "Forest",
    "ForgetEdge",
    "NaryNode",
    "NaryTreeLSTM",
    "RecursiveAutoencoder",
    "RecursiveNet",
    "RecursiveNode",
    "RecursiveTensorNet",
    "TreeLayer",
]
