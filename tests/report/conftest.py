import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # the synthetic study is in that folder
sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))
