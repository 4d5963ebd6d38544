#!/usr/bin/env bash
# Train under Slurm, one process a GPU; requeued until the run is finished.
#
#   sbatch --nodes=4 --gpus-per-node=8 --ntasks-per-node=8 scripts/slurm_train.sh \
#       --config config/nted_256.yaml --name my_run [key=value ...]
#
# Ten minutes before the time limit, and on preemption, Slurm signals all processes: they save and exit with 75. The job
# then goes back into the queue, and the same command continues the run. Any other code ends the job.
#SBATCH --job-name=steppose
#SBATCH --cpus-per-task=12
#SBATCH --signal=USR1@600
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%j.out
set -uo pipefail
STOPPED=75

MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_ADDR MASTER_PORT=29500 OMP_NUM_THREADS=1

# the processes act on the signals; this script only waits for them
trap '' TERM USR1

# Slurm's own variables tell each process who it is, so no launcher stands between it and the signals
srun --kill-on-bad-exit=0 bash -c \
    'export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS; exec python train.py "$@"' train "$@"
CODE=$?
if [ "$CODE" -eq "$STOPPED" ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$CODE"
