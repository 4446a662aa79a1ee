"""The rules, pure: what hub, node and auditor must compute alike."""
