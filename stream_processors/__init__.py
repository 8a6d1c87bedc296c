"""The platform's side: lanes that turn reports into records, the store, and what people ask of them."""
