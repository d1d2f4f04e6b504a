"""stub"""
from hanoverd.commandline.settings import Settings
from hanoverd.model.publish import Publish
class InfoRequested(Exception): pass
def parse(argv, environ, cwd):
    return Settings(cwd, None, (), "app", (), (Publish(None, range(8080,8081), 80),), (), (), (), "/", 300.0, "--disable-overlap" in argv, 1.0, 30.0, None, None, None)
