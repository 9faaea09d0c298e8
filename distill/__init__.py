"""Models, distillation and scoring: everything that knows torch and nothing that knows Spark."""
