"""Git repositories behind an API: GitHub's and GitLab's, as far as a revert needs them."""
