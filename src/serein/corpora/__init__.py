"""Ground floor: a folder of recordings becomes a table of who said what, and in which emotion.

- `serein.corpora.spec`: `CorpusSpec`, which turns a folder into a list of `Utterance`.
- `serein.corpora.catalogue`: `CORPORA`, each one's file names, official counts, licence.
- `serein.corpora.corpus`: `Corpus`, the table: load, filter, merge, count.
- `serein.corpora.validation`: `Validation`, what does not add up in a corpus.

No sound is decoded here: a corpus is names, labels and paths.
"""

from serein.corpora.catalogue import CORPORA
from serein.corpora.corpus import Corpus
from serein.corpora.spec import CorpusSpec, Utterance
from serein.corpora.validation import Validation

__all__ = ["CORPORA", "Corpus", "CorpusSpec", "Utterance", "Validation"]
