"""stub"""
def version_name(app: str, number: int) -> str:
    return f"{app}-{number}"
