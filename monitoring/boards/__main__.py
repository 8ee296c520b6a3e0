"""Write all boards: `python -m monitoring.boards`."""

from monitoring.boards.every import FOLDER, written

if __name__ == "__main__":
    for name, text in written().items():
        (FOLDER / name).write_text(text)
        print(f"written: {name}")  # noqa: T201 - a program for people
