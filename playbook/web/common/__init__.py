"""What every web app uses: audit rows, permission helpers, panels, blobs, plots. Knows no web app but accounts."""
