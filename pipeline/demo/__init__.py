"""A warehouse to try things on: pages that are invented and look real, built and published as a site."""
