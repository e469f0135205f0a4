"""Classes of trees and of all their nodes: the sentiment of phrases."""
