"""What SimpleITK needs said in several places: its errors in one line, and how many threads it may start."""

import re

WHERE = re.compile(r"^(ITK |sitk::)?ERROR: (\w+\(0x[0-9a-f]+\): )?")  # how errors of ITK begin; no two runs alike


def use_one_thread() -> None:
    """For workers that share a machine's cores: SimpleITK would start as many threads as there are cores in each."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def last_line(error: Exception) -> str:
    """What a library's error says in the end: above stands where in its own code and, before it, in its memory."""
    return WHERE.sub("", str(error).strip().splitlines()[-1].strip())
