from environments import *
