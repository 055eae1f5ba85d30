"""From the lake to models and back: panels, scores with certificates, their verification, monitoring, retraining."""
