"""What a job's run says to people: one HTML file without anything outside of it, with plots, tables, and a card to sign."""
