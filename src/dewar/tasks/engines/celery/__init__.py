"""Jobs on Celery workers, over Redis or RabbitMQ."""
