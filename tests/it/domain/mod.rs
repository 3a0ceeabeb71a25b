//! The pure core from outside: fixtures, golden records, and properties that hold for any input.

mod decimals;
mod encodings;
mod fixtures;
mod golden;
mod normalization;
mod robustness;
mod tree;
mod window;
