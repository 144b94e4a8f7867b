"""The engine that runs jobs on Celery workers, over Redis or RabbitMQ."""
