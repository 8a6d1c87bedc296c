"""The store's tables and views: the SQL files beside this module, and what brings a store to their state."""
