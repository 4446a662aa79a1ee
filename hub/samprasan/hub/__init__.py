"""The thin hub: it orders signed updates, keeps shared totals, forwards documents and mail, and knows nobody."""
