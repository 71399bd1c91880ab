"""A leaderboard in a folder, in which a row means something.

    board/test.json                     a test set: its hash, its size, its label scheme
    board/test/NAME.json                an entry: scores with intervals, what made it, what it cost, how to repeat it
    board/test/NAME.0123456789ab.jsonl.gz   its predictions, spans and links without the texts, with the counts of each document
    board/README.md README.zh.md index.html   made from these

Every score is what the stored predictions give (`check`), and ranks are shared by what cannot be told apart
(`ranking`).
"""

from gongbao.leaderboard.board import Board
from gongbao.leaderboard.checking import Findings, check
from gongbao.leaderboard.entries import Cost, Entry, Score, Scores, TestSet, Training
from gongbao.leaderboard.ranking import Row, Standing
from gongbao.leaderboard.systems import About, Run, run_model, told_run
from gongbao.leaderboard.training_data import at_hand, check_training, config_of

__all__ = [
    "About", "Board", "Cost", "Entry", "Findings", "Row", "Run", "Score", "Scores", "Standing", "TestSet", "Training",
    "at_hand", "check", "check_training", "config_of", "run_model", "told_run",
]  # fmt: skip
