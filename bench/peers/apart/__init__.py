"""Engines that need an environment of their own: one program each, run by that environment's interpreter, told what to do through a folder."""
