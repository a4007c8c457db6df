"""Very many recordings: on all cores or a cluster, resumed, one table. Needs the extra [scale]."""
