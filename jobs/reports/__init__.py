"""Pages, plots and summaries of scored days, retrainings and grids of schemes."""
