#!/usr/bin/env bash
# Builds outlierd with CUDA on a machine with a GPU, holds the GPU to the CPU, and measures both.
# usage: deploy/cuda-verify.sh            needs nvcc (CUDA 12.8 or newer), the driver, cargo; 20 minutes at first
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target/cuda}

step() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }
missing() { echo "cuda-verify: $1" >&2; exit 1; }

command -v nvcc >/dev/null || missing "nvcc is not in PATH: install the CUDA toolkit, or add its bin folder"
command -v nvidia-smi >/dev/null || missing "nvidia-smi is not in PATH: install the NVIDIA driver"
step "the GPU"
nvidia-smi --query-gpu=index,name,driver_version,compute_cap,memory.total --format=csv

step "build"
cargo build --release --locked --features cuda

# A test without a GPU says that it was skipped, and passes: here that is a failure.
step "the GPU says what the CPU says"
run() {
  shown=$(cargo test --release --locked --features cuda "$@" -- --nocapture ${ONLY:+--ignored --exact "$ONLY"} 2>&1) || {
    printf '%s\n' "$shown"
    missing "a test failed"
  }
  printf '%s\n' "$shown" | grep -E '^test .*(parity|device)|^test result'
  ! printf '%s\n' "$shown" | grep -E '^skipped: ' || missing "the tests found no GPU"
}
run --lib parity
run --lib device
run --test line device

step "a GPU that is lost, and one that is full"
for name in a_gpu_that_is_lost_leaves_the_rows_to_the_cpu a_gpu_short_of_memory_gets_smaller_batches_and_says_the_same; do
  ONLY=vae::parity::on_a_gpu::$name run --lib
done

step "how fast"
cargo bench --locked --features cuda --bench line -- gpu

step "done"
