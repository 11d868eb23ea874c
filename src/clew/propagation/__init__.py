"""Private. Takes ids where the context does not go by itself: services, threads, forks, pools."""
