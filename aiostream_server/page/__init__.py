"""The page at `/`: HTML, CSS and JavaScript modules as they are served, without a build step.

`index.html` loads `app.js`, which says what leads where. `libraries/` are packages of others, as they were published.
"""
