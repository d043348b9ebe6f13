"""Who is calling, and for which team: a resource server, its tokens, its teams, its limits. It knows no tool."""
