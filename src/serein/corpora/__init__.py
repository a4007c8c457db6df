"""Corpora: from a folder of recordings to a table of utterances with speakers and emotions.

- `serein.corpora.spec`: `CorpusSpec`, which turns a folder into a list of `Utterance`.
- `serein.corpora.catalogue`: `CORPORA`, with file names, official counts and licence of each.
- `serein.corpora.corpus`: `Corpus`, the table: load, filter, merge, count.
- `serein.corpora.validation`: `Validation`, the errors and warnings of a corpus.
- `serein.corpora.same_sound`: duplicates, dropped or refused wherever labels are learnt or judged.

No sound is decoded here: a corpus is paths and labels.
"""

from serein.corpora.catalogue import CORPORA
from serein.corpora.corpus import Corpus
from serein.corpora.spec import CorpusSpec, Utterance
from serein.corpora.validation import Validation

__all__ = ["CORPORA", "Corpus", "CorpusSpec", "Utterance", "Validation"]
